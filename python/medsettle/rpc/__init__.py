"""The hub on the network: gRPC with mutual TLS in front of the embedded engine."""
