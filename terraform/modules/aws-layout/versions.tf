# No provider: nothing is made here, everything is computed, so that it can be planned and tested anywhere.
terraform {
  required_version = ">= 1.6"
}
