"""The widgets that panes are built from; none of them knows an engine or a store."""
