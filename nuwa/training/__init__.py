"""Training of the tokenizer and of the model."""
