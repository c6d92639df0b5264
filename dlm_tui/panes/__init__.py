"""The three panes of the workbench (document, training, chat) and the pure parts they are made of."""
