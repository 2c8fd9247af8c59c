"""What is wrong with an install, and what to do about it: a module of checks for each subject."""
