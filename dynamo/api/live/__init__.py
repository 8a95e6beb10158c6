"""What goes on: state of everything, load, timeline, costs, and the stream of what happens."""
