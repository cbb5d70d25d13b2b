fn main() {
    instar_guest_link::link_helper_at(instar_abi::SANDBOX_HELPER_ADDR);
}
