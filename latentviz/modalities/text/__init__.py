"""Texts: lines, files, columns of tables → tokens, encoder, decoder, and how texts are shown."""
