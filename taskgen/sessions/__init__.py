"""Sessions that come with the model itself."""
