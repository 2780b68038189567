"""A training store: pairs in Zarr v3, sharded and compressed, of which windows are read.

    STORE/zarr.json        a group; its attributes say what is in it, pair by pair
          0/images         [N, T, C, H, W] int16, reflectance × 10000
          0/clear          [N, T, H, W]
          0/reference      [N, C, scale·H, scale·W] int16, −32768 where it is not known;
                           [N, C, H, W] for what the sensor saw
          1/…              N neighbours in the list that have one shape lie in a block together

Chunks are squares of SIDE low-resolution pixels, all bands, FRAMES images; a shard holds all of one
array, so that a store is a few files a block. What lies under clouds is kept.
"""

from sitsr.datasets.store.layout import FORMAT
from sitsr.datasets.store.reading import is_store, name_of_store, read_store
from sitsr.datasets.store.writing import write_store

__all__ = ["FORMAT", "is_store", "name_of_store", "read_store", "write_store"]
