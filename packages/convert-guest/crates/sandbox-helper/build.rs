fn main() {
    instar_guest_link::link_at(instar_abi::SANDBOX_HELPER_ADDR);
}
