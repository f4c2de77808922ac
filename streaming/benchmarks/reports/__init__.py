"""What is made of a result of `bench.run`: a page, figures, a comparison. Open `page` first."""
