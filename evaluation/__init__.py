"""Pictures and clips to scores under named protocols."""
