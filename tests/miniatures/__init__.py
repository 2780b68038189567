"""Makers of tiny copies of the public data sets, in their exact layout, with their defects."""
