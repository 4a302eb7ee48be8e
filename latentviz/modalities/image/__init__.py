"""Images: folders, IDX, npy, Parquet and the Hugging Face hub; convolutional nets sized by the image."""
