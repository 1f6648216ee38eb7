"""The units of a run: computed anywhere, kept on disk one by one.

`tile` reads the windows of a tile, by way of the `chunk_cache`, and defines what its
result is; `segment` makes the result, in batches that `batching` fits to the device.
`pipeline` does that for many tiles in this process, `dask_cluster` on workers;
`tile_files` keep the results, and the `allocator` the memory.
"""
