"""Raw data to 3D grids of tokens and back."""
