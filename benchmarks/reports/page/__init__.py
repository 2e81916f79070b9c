"""The page of `upliftlens report`: what finished runs say, in one HTML file that needs nothing else."""
