"""Studies: what a trained model does when something about its input is changed on purpose."""
