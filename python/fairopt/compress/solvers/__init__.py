"""Methods that choose codes with more care than rounding to nearest: one file each, all called as ``base`` says."""
