"""Makes the scenes beside this file importable for the tests in the folders below."""
