"""What the words of a query stand for: items, clusters, conditions, and the z to decode. Loads without torch."""
