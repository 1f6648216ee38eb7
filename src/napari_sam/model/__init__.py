"""SAM itself: encoder, prompt encoder, mask decoder, checkpoints. Torch only."""
