"""Order, neighbours and pairs of training items, shared by the data kinds."""
