"""The layers that the plugin draws into a viewer."""
