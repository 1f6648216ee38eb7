"""The units of a run: computed anywhere, kept on disk one by one."""
