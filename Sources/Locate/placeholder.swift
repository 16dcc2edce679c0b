// Locate
