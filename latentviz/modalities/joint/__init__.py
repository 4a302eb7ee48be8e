"""Items with several parts, such as an image, its caption and its label, in one latent."""
