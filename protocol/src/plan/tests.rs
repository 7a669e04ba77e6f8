use malachite_nz::natural::Natural;
use malachite_base::num::arithmetic::traits::Factorial;
use proptest::prelude::*;

use super::*;
