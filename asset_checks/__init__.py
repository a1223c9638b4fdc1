"""The platform's asset checks, by layer, behind one factory."""
