"""Drawn pedestrians with known identity, camera, pose and attributes.

- `palette`, `person`, `wardrobe`: who people are, and the annotation that follows from it.
- `pose`, `body`, `wear`: a person at a moment of walking as a list of solids.
- `textures`, `cloth`, `faces`: the colors on those solids.
- `quadrics`, `raster`, `shade`: solids to samples, depth and color.
- `places`, `styles`, `scene`: the worlds, where their cameras hang and how they render colors.
- `canvas`, `walls`, `indoors`, `dusk`, `strokes`, `props`: surroundings, and things in front.
- `shots`, `poor`: everything that one image depends on, at a named difficulty; poor crops.
- `framing`, `compose`, `sensor`, `truth`, `render`: shots to images and their ground truth.
- `options`, `plan`, `writing`, `dataset`, `staging`: labelled sets, laid out like Market-1501.
- `crowd`, `shards`, `unlabelled`, `locking`: unlabelled sets of any size, streamed to disk.
- `descriptor`: the color-constant stripes that measure how hard a data set is.
"""
