"""The HTML report of a run: figures, pictures of frames, and the page that holds them."""
