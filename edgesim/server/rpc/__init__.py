"""The Open Inference Protocol over gRPC: the second transport beside HTTP, imported only by a server that has one.

grpcio is a package of a few images only, and its import takes time that a server without gRPC must not spend.
"""
