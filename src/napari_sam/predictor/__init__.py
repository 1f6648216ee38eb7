"""From prompts on an image of any size to masks."""
