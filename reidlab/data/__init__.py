"""From files on disk to batches: samples, readers, images, transforms, samplers."""
