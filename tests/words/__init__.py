"""A data kind of five-letter words, as small as can be: what generate, recommend, encode and export ask of a kind."""
