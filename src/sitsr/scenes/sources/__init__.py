"""What a series is read from; each kind of source is a function that gives frames.

geotiffs   a folder of dated GeoTIFFs
cubes      xarray's Dataset or DataArray
"""
