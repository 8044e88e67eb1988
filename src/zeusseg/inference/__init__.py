"""From a case to slices, through the model, back to masks on the case's own grid, and into files."""
