"""Drawn pedestrians with known identity, camera, pose and attributes.

- `palette`, `person`, `wardrobe`: who people are, and the annotation that follows from it.
- `pose`, `body`, `wear`: a person at a moment of walking as a list of solids.
- `textures`, `cloth`, `faces`: the colors on those solids.
- `quadrics`, `raster`, `shade`: solids to samples, depth and color.
- `scene`, `canvas`, `walls`, `props`: cameras, their surroundings, things in front.
- `shots`: everything that one image depends on, drawn at a named difficulty.
- `framing`, `compose`, `sensor`, `truth`, `render`: shots to images and their ground truth.
- `descriptor`: the color-constant stripes that measure how hard a data set is.
"""
