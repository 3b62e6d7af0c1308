"""Where analytics are computed: in threads, in processes or on a Dask cluster."""
