"""A minimal data kind: five-letter words. It shows what a new kind has to provide."""
