"""zeusseg segments medical images from instructions that are written from the images themselves."""
