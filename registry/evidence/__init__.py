"""What goes along with a shipment to show that it may leave."""
