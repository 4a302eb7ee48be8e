"""The VAE, its objective, its checkpoints, and encoding with it. Knows neither images nor texts."""
