"""A small dual encoder of real pictures: frozen MobileNetV2 and MiniLM, joined by our heads.

`fetch.fetch` downloads the two frozen networks, `towers.load` opens the model, `recipe.train`
makes the heads anew, `collage.collage` composes pictures whose parts are known.
"""
