"""audit: attacks a dataset's encryption as adversaries would, and says what they got back."""
