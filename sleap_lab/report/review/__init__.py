"""A page to look through a recording with its poses: `review.html`."""
