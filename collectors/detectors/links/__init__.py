"""What is wrong with one link, cause by cause; ``collectors.detectors.link`` says which of them a link is told of."""
