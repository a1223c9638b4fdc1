"""Tests of what people read: a package, so that file names may repeat those of other rooms."""
