"""Files as such: written whole or not at all, told apart by content, and those of others read without running anything in them."""
