"""The codec's inner loops, compiled by numba when they are first called.

Nothing here is imported before a clip is coded or decoded: numba takes a while to load.
"""
