"""What users name on the command line and in Python: items, spots on the map, conditions."""
